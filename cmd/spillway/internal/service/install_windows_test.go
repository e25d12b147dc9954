package service

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/windows/svc/mgr"
)

func TestOptions_TheCommandIsQuoted(t *testing.T) {
	o := Options{Name: "spillway", Config: `C:\my site\spillway.yaml`}
	config, err := o.manager(settings{})
	if err != nil {
		t.Fatal(err)
	}
	command := config.BinaryPathName
	if !strings.HasPrefix(command, `"`) || !strings.HasSuffix(command, `.exe" run -c "C:\my site\spillway.yaml"`) {
		t.Errorf("got %s, want both paths in quotation marks", command)
	}
	if config.ServiceStartName != `NT SERVICE\spillway` || config.StartType != mgr.StartAutomatic || config.DelayedAutoStart {
		t.Errorf("got account %s, start %d, delayed %v", config.ServiceStartName, config.StartType, config.DelayedAutoStart)
	}
}

func TestOptions_RefusesWhatAServiceCannotUse(t *testing.T) {
	for _, path := range []string{`spillway.yaml`, `\spillway.yaml`, `C:\%TEMP%\spillway.yaml`} {
		if _, err := (&Options{Name: "spillway", Config: path}).manager(settings{}); err == nil {
			t.Errorf("%s: got no error", path)
		}
	}
}

func TestOptions_Accounts(t *testing.T) {
	f := func(account, want string, password bool) {
		t.Helper()
		t.Setenv(passwordVariable, "secret")
		o := Options{Name: "spillway", Config: `C:\spillway.yaml`, Account: account}
		config, err := o.manager(settings{})
		if err != nil {
			t.Fatal(err)
		}
		if config.ServiceStartName != want || (config.Password != "") != password {
			t.Errorf("%s: got %s, password %v, want %s, %v", account, config.ServiceStartName, config.Password != "", want, password)
		}
	}
	f("localsystem", "LocalSystem", false)
	f(`NT AUTHORITY\SYSTEM`, "LocalSystem", false)
	f("NetworkService", `NT AUTHORITY\NetworkService`, false)
	f(`SHOP\web$`, `SHOP\web$`, false)
	f(`SHOP\web`, `SHOP\web`, true)
	f(`.\web`, `.\web`, true)
}

func TestInstall_AsksForAPasswordOnlyAtAConsole(t *testing.T) {
	t.Setenv(passwordVariable, "")
	_, err := (&Options{Name: "spillway", Config: `C:\spillway.yaml`, Account: `SHOP\web`}).manager(settings{})
	if err == nil || !strings.Contains(err.Error(), passwordVariable) {
		t.Errorf("got %v, want the name of the variable", err)
	}
}

func TestEventText_IsOneThatWindowsTakes(t *testing.T) {
	text := eventText("a\nb\x00" + strings.Repeat("ö", maxEventText))
	if !strings.HasPrefix(text, "a\r\nb") || len(text) > maxEventText+10 || !utf8.ValidString(text) || strings.Contains(text, "\x00") {
		t.Errorf("got %d bytes that begin with %q", len(text), text[:10])
	}
}

func TestRecovery_RestartsAndWaitsLonger(t *testing.T) {
	later := func(a, b mgr.RecoveryAction) int { return int(a.Delay - b.Delay) }
	if len(recovery) != 3 || !slices.IsSortedFunc(recovery, later) {
		t.Errorf("got %v", recovery)
	}
}

func TestGrant_MakesTheFolderAndKeepsWhatIsAllowed(t *testing.T) {
	dir := t.TempDir()
	if err := closeFolder(dir); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "site", "logs")
	if err := grant("Everyone", folder); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "error.log")
	if err := os.WriteFile(file, []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := grantReading("Everyone", dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(file); err != nil {
		t.Error(err)
	}
	if err := grant(`nobody-has-this`, folder); err == nil {
		t.Error("got no error for an account that is not there")
	}
}

// Microsoft's own example: sc showsid TrustedInstaller.
func TestSidOf_AServicesOwnAccount(t *testing.T) {
	sid, err := sidOf(`NT SERVICE\TrustedInstaller`)
	if err != nil {
		t.Fatal(err)
	}
	if want := "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"; sid.String() != want {
		t.Errorf("got %s, want %s", sid, want)
	}
}

func TestOptions_WhatIsEmptyStaysAsItIs(t *testing.T) {
	t.Setenv(passwordVariable, "")
	set := settings{account: `SHOP\web`, start: startDelayed, display: "Shop"}
	o := Options{Name: "spillway", Config: `C:\spillway.yaml`, DisplayName: "The shop"}
	config, err := o.manager(set)
	if err != nil {
		t.Fatal(err)
	}
	if config.ServiceStartName != "" || !config.DelayedAutoStart || config.DisplayName != "The shop" || o.Account != set.account {
		t.Errorf("got account %q, delayed %v, name %s", config.ServiceStartName, config.DelayedAutoStart, config.DisplayName)
	}
}
