// Package testnet makes networks for tests: two hosts on a virtual network, or
// on several between which they move, a pipe of datagrams, certificates, and a
// check for what a test leaves behind. Networks and pipes are meant for bubbles of
// testing/synctest and work outside.
//
// Only tests import it.
package testnet
