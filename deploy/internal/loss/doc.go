// Package loss names what went wrong with a request of a test client, so that a report can count it by kind.
package loss
