// Package plugin runs virtual machines in processes of their own: Serve is the
// whole main function of one, and New gives one as a vm.Driver.
// go-plugin starts, checks and stops the process; calls go over a unix socket in
// frames that docs/VM-PLUGINS.md describes.
package plugin
