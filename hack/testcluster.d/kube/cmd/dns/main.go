// Command dns is CoreDNS with only the plugins the test cluster's Corefile names: a fifth of the
// compile time of the full set.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

// The order in which plugins see a query.
func init() {
	dnsserver.Directives = []string{
		"bind", "ready", "errors", "kubernetes", "template",
	}
}

func main() {
	coremain.Run()
}
