// Package project is a directory in which somebody writes a process: what is in it, and
// how it becomes a module.
package project
