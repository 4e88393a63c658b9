package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The program prints what the README shows, and leaves no goroutine.
func TestGame(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	program := filepath.Join(t.TempDir(), "game.exe")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(ctx, program).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	printed := regexp.MustCompile(`[1-9][0-9]* answered`).ReplaceAllString(string(out), "20 answered")
	if !strings.Contains(string(readme), "```text\n"+printed+"```\n") {
		t.Errorf("the README shows something else than\n%s", printed)
	}
}
