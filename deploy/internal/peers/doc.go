// Package peers are the cheap applications behind a proxy under test. They look for the ends of requests, whose
// bodies have a length in the head, and no further; what they answer is the caller's.
package peers
