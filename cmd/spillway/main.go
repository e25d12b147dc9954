package main

import (
	_ "github.com/hashicorp/go-retryablehttp"
	_ "github.com/prometheus/client_golang/prometheus"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "github.com/valyala/fasthttp"
	_ "golang.org/x/sys/execabs"
	_ "gopkg.in/yaml.v3"
)

func main() {}
