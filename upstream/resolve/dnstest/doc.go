// Package dnstest has a name server for tests, which answers what it was told, and goes wrong as it was told. Only tests import it.
package dnstest
