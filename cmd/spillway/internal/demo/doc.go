// Package demo is what `spillway` runs when there is no configuration: a small FastCGI program, started eight times, and
// the configuration that does so.
//
// The program speaks FastCGI through the standard library's net/http/fcgi, so it is a peer that spillway has no part in.
package demo
