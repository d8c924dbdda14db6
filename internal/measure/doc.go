// Package measure drives a load and says how fast it was answered and what the
// process used up for it. Wallaby and its peers are measured by this same code,
// each in a process of its own.
package measure
