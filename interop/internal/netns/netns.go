// Package netns makes the networks of the laboratory: namespaces that belong to
// one run, and leave with it.
package netns

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// prefix begins the name of every namespace of the laboratory. What follows is
// the process of the run and when it began, so that a later run can tell what a
// dead one has left from what a living one is using.
const prefix = "ctxlab-"

// folder is where iproute2 keeps the namespaces that have names.
const folder = "/run/netns"

// files is where "ip netns exec" finds files that stand in the place of those in
// /etc.
const files = "/etc/netns"

// Set is the namespaces of one network. Its methods are for one goroutine.
type Set struct {
	prefix string
	names  []string
}

// Possible tells why namespaces cannot be made here, nil if they can.
func Possible() error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("network namespaces need the command ip, of iproute2")
	}
	probe := New("probe")
	defer probe.Close() // what matters is the reason below
	if err := probe.Add("x"); err != nil {
		return fmt.Errorf("network namespaces cannot be made here: %w", err)
	}

	return nil
}

// New names a set of this process. It makes nothing yet.
func New(name string) *Set {
	pid := os.Getpid()
	start, _ := started(pid)

	return &Set{prefix: fmt.Sprintf("%s%d-%s-%s-", prefix, pid, start, name)}
}

// Attach is the set of another process, which gives it by its Prefix: to use its
// namespaces, and not to close them.
func Attach(prefix string) *Set { return &Set{prefix: prefix} }

// Prefix is what the names of all namespaces of the set begin with.
func (s *Set) Prefix() string { return s.prefix }

// Add makes a namespace, whose loopback is up and which leads nowhere.
func (s *Set) Add(name string) error {
	full := s.Name(name)
	// First, since a command that is ended in its middle may have made it.
	s.names = append(s.names, full)
	// Nobody answers there, which is told at once. With the machine's servers a
	// peer that looks for a name would wait for some seconds.
	if err := errors.Join(os.MkdirAll(filepath.Join(files, full), 0o755), os.MkdirAll(s.Temp(), 0o700)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(files, full, "resolv.conf"), []byte("nameserver 127.0.0.1\n"), 0o644); err != nil {
		return err
	}
	if err := run("ip", "netns", "add", full); err != nil {
		return err
	}
	if err := s.In(name, "ip", "link", "set", "lo", "up"); err != nil {
		return err
	}

	// A new namespace may inherit this from the machine, and then it would route.
	return s.In(name, "sysctl", "-qw", "net.ipv4.ip_forward=0")
}

// Temp is a folder for what the programs in the namespaces write for a while. Those
// that are killed leave it there, and it goes with the set.
func (s *Set) Temp() string { return filepath.Join(os.TempDir(), s.prefix+"tmp") }

// Name of a namespace as the system knows it.
func (s *Set) Name(name string) string { return s.prefix + name }

// Command is what runs a program in one of the namespaces.
func (s *Set) Command(name string, argv ...string) []string {
	return append([]string{"ip", "netns", "exec", s.Name(name)}, argv...)
}

// In runs a program in a namespace to its end.
func (s *Set) In(name string, argv ...string) error {
	command := s.Command(name, argv...)

	return run(command[0], command[1:]...)
}

// Link joins two namespaces by a cable, whose ends get a name and an address
// with the length of its network each.
func (s *Set) Link(a, endA, addressA, b, endB, addressB string) error {
	if err := run("ip", "-n", s.Name(a), "link", "add", endA, "type", "veth",
		"peer", "name", endB, "netns", s.Name(b)); err != nil {
		return err
	}

	if err := errors.Join(s.Up(a, endA, addressA), s.Up(b, endB, addressB)); err != nil {
		return err
	}

	return errors.Join(s.carries(a, endA), s.carries(b, endB))
}

// carries waits until an interface has seen that its cable is plugged in at both
// ends. libwebrtc looks for others only every two seconds.
func (s *Set) carries(name, device string) error {
	for range 500 {
		out, err := output("ip", "-n", s.Name(name), "-brief", "link", "show", "dev", device)
		if fields := strings.Fields(string(out)); err == nil && len(fields) > 1 && fields[1] == "UP" {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}

	return fmt.Errorf("the interface %s of %s does not come up", device, name)
}

// Up gives an interface its address and switches it on. Without an address it
// stays without one.
func (s *Set) Up(name, device, address string) error {
	if address != "" {
		if err := run("ip", "-n", s.Name(name), "addr", "add", address, "dev", device); err != nil {
			return err
		}
	}

	return run("ip", "-n", s.Name(name), "link", "set", device, "up")
}

// File puts a file into a folder of /etc, for what is run in a namespace from now
// on. It hides what else the machine has in that folder.
func (s *Set) File(name, path string, content []byte) error {
	full := filepath.Join(files, s.Name(name), path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}

	return os.WriteFile(full, content, 0o644)
}

// Route makes a gateway the way to everywhere.
func (s *Set) Route(name, gateway string) error {
	return run("ip", "-n", s.Name(name), "route", "add", "default", "via", gateway)
}

// Close ends every process in the namespaces of the set and removes them.
func (s *Set) Close() error {
	var all error
	for _, name := range s.names {
		all = errors.Join(all, remove(name))
	}
	s.names = nil

	return errors.Join(all, os.RemoveAll(s.Temp()))
}

// Sweep removes what runs that are dead have left, and returns the names.
func Sweep() ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var swept []string
	var all error
	temps, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*-tmp"))
	for _, temp := range temps {
		if !alive(filepath.Base(temp)) {
			all = errors.Join(all, os.RemoveAll(temp))
		}
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), prefix) || alive(entry.Name()) {
			continue
		}
		swept = append(swept, entry.Name())
		all = errors.Join(all, remove(entry.Name()))
	}

	return swept, all
}

// alive tells whether the process that a namespace is named after runs.
func alive(name string) bool {
	fields := strings.SplitN(strings.TrimPrefix(name, prefix), "-", 3)
	if len(fields) < 3 {
		return false
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		return false
	}
	start, err := started(pid)

	return err == nil && start == fields[1]
}

// started is when a process began, in ticks since the machine did. With it a
// number that is used again does not pass for the process of before.
func started(pid int) (string, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", err
	}
	// The name of the program stands in parentheses, and may have spaces.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const startTime = 22 - 3
	if len(fields) <= startTime {
		return "", errors.New("a stat of another shape")
	}

	return fields[startTime], nil
}

// remove ends what runs in a namespace, then removes it. A namespace whose
// processes live on would live on too, without a name.
func remove(name string) error {
	defer os.RemoveAll(filepath.Join(files, name)) // harmless if it stays
	if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
		return nil // there is none: all is well
	}
	for range 100 {
		pids, err := processes(name)
		if err != nil || len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			// It may have ended by itself meanwhile.
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(10 * time.Millisecond)
	}

	err := run("ip", "netns", "delete", name)
	if _, gone := os.Stat(filepath.Join(folder, name)); gone != nil {
		return nil // by us or by another run that sweeps
	}

	return err
}

func processes(name string) ([]int, error) {
	out, err := output("ip", "netns", "pids", name)
	if err != nil {
		return nil, err
	}
	var pids []int
	for field := range strings.FieldsSeq(string(out)) {
		if pid, err := strconv.Atoi(field); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}

	return slices.Clip(pids), nil
}

func run(name string, args ...string) error {
	_, err := output(name, args...)

	return err
}

// output has a limit of its own, and no context: what cleans up runs after the
// end of every context. The process group is one that a signal from the keyboard
// does not reach: what it ends is the laboratory.
func output(name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...) //nolint:noctx // see above
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Start()
	if err == nil {
		timer := time.AfterFunc(10*time.Second, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		err = cmd.Wait()
		timer.Stop()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(out.Bytes()))
	}

	return out.Bytes(), nil
}
