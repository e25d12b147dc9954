// Package buffering holds a body between a fast side and a slow side, first in memory, then in a spill file.
package buffering
