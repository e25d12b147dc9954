package service

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"unicode/utf16"

	"golang.org/x/sys/windows"
)

// modify is what Explorer calls so: all but changing owner and permissions.
const modify = windows.GENERIC_READ | windows.GENERIC_WRITE | windows.GENERIC_EXECUTE | windows.DELETE

// grant makes the folder if it is not there, and lets the account write to it and to all that is or will be in it.
func grant(account, folder string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil { // Windows: it inherits the permissions of its parent
		return err
	}
	if account == localSystem {
		return nil
	}
	return allow(account, folder, modify)
}

// grantReading lets the account read a folder and all that is or will be in it.
func grantReading(account, folder string) error {
	if account == localSystem {
		return nil
	}
	return allow(account, folder, windows.GENERIC_READ|windows.GENERIC_EXECUTE)
}

// closeFolder takes a folder from all but administrators, Windows and who is granted something later: in ProgramData every
// user may make files and read those of others, and a configuration may have passwords.
func closeFolder(folder string) error {
	entries := make([]windows.EXPLICIT_ACCESS, 0, 2)
	for _, known := range []windows.WELL_KNOWN_SID_TYPE{windows.WinLocalSystemSid, windows.WinBuiltinAdministratorsSid} {
		sid, err := windows.CreateWellKnownSid(known)
		if err != nil {
			return fmt.Errorf("permissions of %s: %w", folder, err)
		}
		entries = append(entries, entry(sid, windows.GENERIC_ALL))
	}
	list, err := windows.ACLFromEntries(entries, nil)
	if err != nil {
		return fmt.Errorf("permissions of %s: %w", folder, err)
	}
	const part = windows.DACL_SECURITY_INFORMATION | windows.PROTECTED_DACL_SECURITY_INFORMATION
	if err := windows.SetNamedSecurityInfo(folder, windows.SE_FILE_OBJECT, part, nil, nil, list, nil); err != nil {
		return fmt.Errorf("permissions of %s: %w", folder, err)
	}
	return nil
}

// inherited is for all that is or will be in a folder.
const inherited = windows.SUB_CONTAINERS_AND_OBJECTS_INHERIT

// allow adds a right to the permissions of a folder; the others are kept.
func allow(account, folder string, right windows.ACCESS_MASK) error {
	sid, err := sidOf(account)
	if err != nil {
		return fmt.Errorf("account %s: %w", account, err)
	}
	const kind, part = windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION
	security, err := windows.GetNamedSecurityInfo(folder, kind, part)
	if err != nil {
		return fmt.Errorf("permissions of %s: %w", folder, err)
	}
	old, _, err := security.DACL()
	if err != nil {
		return fmt.Errorf("permissions of %s: %w", folder, err)
	}
	list, err := windows.ACLFromEntries([]windows.EXPLICIT_ACCESS{entry(sid, right)}, old)
	if err != nil {
		return fmt.Errorf("permissions of %s: %w", folder, err)
	}
	if err := windows.SetNamedSecurityInfo(folder, kind, part, nil, nil, list, nil); err != nil {
		return fmt.Errorf("permissions of %s: %w", folder, err)
	}
	return nil
}

// sidOf is what the system calls an account. That of a service's own account follows from its name: it is the SHA-1 of the
// name in capitals, and Windows may not have noticed yet that the service is there.
func sidOf(account string) (*windows.SID, error) {
	upper := strings.ToUpper(account)
	name, isOwn := strings.CutPrefix(upper, `NT SERVICE\`)
	if !isOwn {
		sid, _, _, err := windows.LookupSID("", account)
		return sid, err
	}
	encoded := make([]byte, 0, 2*len(name))
	for _, unit := range utf16.Encode([]rune(name)) {
		encoded = binary.LittleEndian.AppendUint16(encoded, unit)
	}
	hash := sha1.Sum(encoded)
	part := func(i int) uint32 { return binary.LittleEndian.Uint32(hash[4*i:]) }
	return windows.StringToSid(fmt.Sprintf("S-1-5-80-%d-%d-%d-%d-%d", part(0), part(1), part(2), part(3), part(4)))
}

func entry(sid *windows.SID, right windows.ACCESS_MASK) windows.EXPLICIT_ACCESS {
	return windows.EXPLICIT_ACCESS{
		AccessPermissions: right, AccessMode: windows.GRANT_ACCESS, Inheritance: inherited,
		Trustee: windows.TRUSTEE{TrusteeForm: windows.TRUSTEE_IS_SID, TrusteeValue: windows.TrusteeValueFromSID(sid)},
	}
}
