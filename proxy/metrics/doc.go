// Package metrics counts finished exchanges and shows all numbers of spillway to Prometheus.
//
// Observe counts with atomics that were made when the name of an upstream or peer was first seen; it neither locks nor
// allocates. Names come from the configuration and never from a request, so their number is bounded; see maxSeries.
//
// Numbers that other packages own, such as memory in use, are given as functions with Gauge and Counter and are asked for
// when somebody looks. Each generation of the configuration gives its own and takes them back when it ends, while what
// Observe has counted stays.
//
// Besides spillway_..., the names of nginx-prometheus-exporter are shown when Options.Nginx is given, so that dashboards
// made for nginx go on working.
package metrics
