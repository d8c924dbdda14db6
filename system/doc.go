// Package system has tests only: they run nodes as processes, kill, freeze and
// restart them under load, and hold what clients were told against what every
// node then says.
package system
