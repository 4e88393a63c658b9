// Package lifecycle holds what the lives of all transports have in common:
// a tree of groups of goroutines that end with a cause, ordered delivery of
// events, and the abort of a call whose context ends.
//
// It is the only package of the library that says "go". Everything that runs
// beside its caller is therefore counted by a [Group], and a group can be
// waited for.
//
//   - [Group] is one object's life. It ends once, with a cause; the first cause
//     wins. A group that follows another ends with it, from the bottom upwards
//     and before the lower one releases what it stands on.
//   - [Queue] delivers events one at a time, in the order in which they were
//     posted, by a goroutine that lives while events wait.
//   - [AbortOnDone] ends a blocking call when a context ends, and tells
//     afterwards whether it may have done so.
package lifecycle
