//go:build !race

package jsep

const raceFactor = 1
