// Package service is the program's life under a service manager: the Windows service control manager, which can also be
// told here to install the program, and systemd.
//
// # Rules for a caller
//
//   - What runs until it is told to end is called by Run, also in a terminal. It tells its Notify when it is Ready, and when
//     it is Stopping; it ends when its context does, and reloads when Reload delivers.
//   - Where Is reports true the service manager alone says when to end: no signal is listened for. Windows sends the signal
//     that means "end" to every console program, services too, whenever somebody logs off.
//   - Under the Windows service manager Run makes the folder of the configuration the working folder, and gives the program
//     a console that nobody sees; without one no process could be asked to end. See supervisor.HiddenConsole.
//
// # What it does not do
//
// It does not read the configuration that it runs, handles no signals, and knows neither listeners nor processes. systemd is
// told how the program is and nothing else: its unit files are in deploy/systemd.
package service
