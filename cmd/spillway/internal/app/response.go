package app

import (
	"fmt"
	"regexp"
	"strings"

	"spillway/configs"
	"spillway/proxy"
	"spillway/proxy/relay"
)

// newFieldRules makes what becomes of the fields of a peer's response.
func newFieldRules(r *configs.Response, protocol configs.Protocol) (relay.FieldRules, error) {
	rules := relay.FieldRules{
		Hide: r.HideHeader, Pass: r.PassHeader,
		OwnRedirects: r.Redirect.Default && protocol == configs.HTTP, // nginx has no redirect for the others
		CookieFlags:  newCookieFlags(r.CookieFlags),
	}
	for _, name := range r.IgnoreHeaders {
		rules.Ignore |= ignored[name]
	}
	var err error
	if rules.Redirects, err = newReplacements("redirect", r.Redirect.Rules); err != nil {
		return rules, err
	}
	if rules.CookieDomains, err = newReplacements("cookie_domain", r.CookieDomain); err != nil {
		return rules, err
	}
	rules.CookiePaths, err = newReplacements("cookie_path", r.CookiePath)
	return rules, err
}

// ignored are the words of ignore_headers; configs has checked that there are no others. Those that are not here do nothing
// without a cache.
var ignored = map[string]relay.Accel{
	"X-Accel-Redirect": relay.AccelRedirect, "X-Accel-Buffering": relay.AccelBuffering,
	"X-Accel-Limit-Rate": relay.AccelLimitRate, "X-Accel-Charset": relay.AccelCharset,
}

func newReplacements(key string, rules []configs.Replacement) ([]relay.Replacement, error) {
	var all []relay.Replacement
	for _, r := range rules {
		from, err := compile(r.From)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		to, err := compile(r.To)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", key, r.From, err)
		}
		all = append(all, relay.Replacement{From: from, To: to})
	}
	return all, nil
}

// newCookieFlags makes rules of nginx's words; configs has checked them.
func newCookieFlags(flags []configs.CookieFlags) []relay.CookieFlags {
	var all []relay.CookieFlags
	for _, f := range flags {
		rule := relay.CookieFlags{Name: f.Cookie}
		if expr, isExpr := strings.CutPrefix(f.Cookie, "~"); isExpr {
			rule.Match = regexp.MustCompile("(?i)" + expr)
		}
		for _, flag := range f.Flags {
			switch flag {
			case "secure":
				rule.Secure = relay.Set
			case "nosecure":
				rule.Secure = relay.Removed
			case "httponly":
				rule.HTTPOnly = relay.Set
			case "nohttponly":
				rule.HTTPOnly = relay.Removed
			case "nosamesite":
				rule.SameSite = relay.Removed
			case "samesite=strict":
				rule.SameSite, rule.SameSiteValue = relay.Set, "Strict"
			case "samesite=lax":
				rule.SameSite, rule.SameSiteValue = relay.Set, "Lax"
			case "samesite=none":
				rule.SameSite, rule.SameSiteValue = relay.Set, "None"
			}
		}
		all = append(all, rule)
	}
	return all
}

func newAddedFields(headers []configs.AddedHeader) ([]proxy.AddedField, error) {
	var all []proxy.AddedField
	for _, h := range headers {
		value, err := compile(h.Value)
		if err != nil {
			return nil, fmt.Errorf("add_header: %s: %w", h.Name, err)
		}
		all = append(all, proxy.AddedField{Name: h.Name, Value: value, Always: h.Always})
	}
	return all, nil
}

func newErrorPages(pages []configs.ErrorPage) ([]proxy.ErrorPage, error) {
	var all []proxy.ErrorPage
	for _, p := range pages {
		to, err := compile(p.To)
		if err != nil {
			return nil, fmt.Errorf("error_page: %s: %w", p.To, err)
		}
		page := proxy.ErrorPage{Codes: p.Codes, To: to, Status: p.Status}
		if p.Status == configs.OwnStatus {
			page.Status = proxy.OwnStatus
		}
		all = append(all, page)
	}
	return all, nil
}
