// Package porttest gives tests ports to listen on. Only tests import it.
package porttest
