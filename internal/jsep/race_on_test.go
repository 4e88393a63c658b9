//go:build race

package jsep

// raceFactor is by how much the race detector slows this package down.
const raceFactor = 20
