// Package certtest makes certificates for tests. Only tests import it.
package certtest
