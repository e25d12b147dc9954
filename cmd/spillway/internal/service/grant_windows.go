package service

import (
	"fmt"
	"os"

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
	return allow(account, folder, modify, windows.SUB_CONTAINERS_AND_OBJECTS_INHERIT)
}

// allowReading lets the account read a file.
func allowReading(account, file string) error {
	if account == localSystem {
		return nil
	}
	return allow(account, file, windows.GENERIC_READ, windows.NO_INHERITANCE)
}

// allow adds a right to the permissions of a file or folder; the others are kept.
func allow(account, path string, right windows.ACCESS_MASK, inheritance uint32) error {
	sid, _, _, err := windows.LookupSID("", account)
	if err != nil {
		return fmt.Errorf("account %s: %w", account, err)
	}
	const kind, part = windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION
	security, err := windows.GetNamedSecurityInfo(path, kind, part)
	if err != nil {
		return fmt.Errorf("permissions of %s: %w", path, err)
	}
	old, _, err := security.DACL()
	if err != nil {
		return fmt.Errorf("permissions of %s: %w", path, err)
	}
	entry := windows.EXPLICIT_ACCESS{
		AccessPermissions: right, AccessMode: windows.GRANT_ACCESS, Inheritance: inheritance,
		Trustee: windows.TRUSTEE{TrusteeForm: windows.TRUSTEE_IS_SID, TrusteeValue: windows.TrusteeValueFromSID(sid)},
	}
	list, err := windows.ACLFromEntries([]windows.EXPLICIT_ACCESS{entry}, old)
	if err != nil {
		return fmt.Errorf("permissions of %s: %w", path, err)
	}
	if err := windows.SetNamedSecurityInfo(path, kind, part, nil, nil, list, nil); err != nil {
		return fmt.Errorf("permissions of %s: %w", path, err)
	}
	return nil
}
