#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Installs spillway as a Windows service, brings an installed one to this version, or removes it.

.DESCRIPTION
Run it from the unpacked archive, as administrator. It may be run again at any time: what is there and right stays.

  1. A service that runs is stopped: running requests may end (shutdown_timeout of its configuration).
  2. spillway.exe goes to Program Files\spillway. The one that was there is kept as spillway.exe.old until the next time.
  3. Without a configuration, the example goes to ProgramData\spillway. One that is there is never touched.
  4. The service is made, if it is not there: its own account, start with Windows, restart after a failure.
  5. The service is started. If the new version does not start, the old one is put back and started.

.PARAMETER Config
The configuration of the service; default: ProgramData\spillway\spillway.yaml.

.PARAMETER Account
The account of a new service: LocalSystem, NetworkService, DOMAIN\user, DOMAIN\gmsa$. Default: NT SERVICE\spillway, its own.

.PARAMETER FirewallPort
Opens this TCP port in the Windows firewall, for spillway.exe only.

.PARAMETER AddToPath
Puts Program Files\spillway into the PATH of the machine.

.PARAMETER Uninstall
Removes service, firewall rule, PATH entry and program. Configuration and logs are left.

.EXAMPLE
powershell -ExecutionPolicy Bypass -File install.ps1 -FirewallPort 80 -AddToPath
#>
[CmdletBinding()]
param(
    [string] $Config = (Join-Path $env:ProgramData 'spillway\spillway.yaml'),
    [string] $Account = '',
    [ValidateRange(0, 65535)] [int] $FirewallPort = 0,
    [switch] $AddToPath,
    [switch] $Uninstall
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$programDir = Join-Path $env:ProgramFiles 'spillway'
$exe = Join-Path $programDir 'spillway.exe'
$old = "$exe.old"
$dataDir = Join-Path $env:ProgramData 'spillway'
$ruleName = 'spillway'

# Runs the installed program; an exit code other than 0 ends the script. The program has said why.
function Invoke-Spillway {
    param([string[]] $Arguments)
    & $exe @Arguments
    if ($LASTEXITCODE -ne 0) {
        throw "spillway $($Arguments -join ' '): exit code $LASTEXITCODE"
    }
}

function Test-Service {
    return $null -ne (Get-Service -Name 'spillway' -ErrorAction SilentlyContinue)
}

# The PATH of the machine as it is written, with its variables: [Environment] would expand them for good.
function Edit-MachinePath {
    param([bool] $Present)
    $key = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SYSTEM\CurrentControlSet\Control\Session Manager\Environment', $true)
    try {
        $raw = [string] $key.GetValue('Path', '', 'DoNotExpandEnvironmentNames')
        $entries = @($raw -split ';' | Where-Object { $_ -ne '' -and $_.TrimEnd('\') -ne $programDir })
        if ($Present) {
            $entries += $programDir
        }
        $new = $entries -join ';'
        if ($new -ne $raw) {
            $key.SetValue('Path', $new, [Microsoft.Win32.RegistryValueKind]::ExpandString)
            Write-Output 'PATH of the machine changed; new windows have it'
        }
    } finally {
        $key.Close()
    }
}

function Edit-FirewallRule {
    param([int] $Port)
    Get-NetFirewallRule -Name $ruleName -ErrorAction SilentlyContinue | Remove-NetFirewallRule
    if ($Port -ne 0) {
        New-NetFirewallRule -Name $ruleName -DisplayName 'spillway' -Direction Inbound -Action Allow -Protocol TCP `
            -LocalPort $Port -Program $exe | Out-Null
        Write-Output "TCP port $Port opened in the firewall"
    }
}

if ($Uninstall) {
    if ((Test-Service) -and (Test-Path -LiteralPath $exe)) {
        Invoke-Spillway @('service', 'uninstall')
    }
    Edit-FirewallRule -Port 0
    Edit-MachinePath -Present $false
    Remove-Item -LiteralPath $programDir -Recurse -Force -ErrorAction SilentlyContinue
    Write-Output "removed; configuration and logs are left in $dataDir"
    return
}

$source = Join-Path $PSScriptRoot 'spillway.exe'
if (-not (Test-Path -LiteralPath $source)) {
    throw "no spillway.exe beside this script: unpack the archive and run install.ps1 from its folder"
}

# 1. and 2. A running program cannot be written over, but it can be renamed, and then the name is free.
New-Item -ItemType Directory -Force -Path $programDir | Out-Null
if ((Test-Service) -and (Test-Path -LiteralPath $exe)) {
    Invoke-Spillway @('service', 'stop')
}
if (Test-Path -LiteralPath $exe) {
    Remove-Item -LiteralPath $old -Force -ErrorAction SilentlyContinue
    Move-Item -LiteralPath $exe -Destination $old -Force
}
Copy-Item -LiteralPath $source -Destination $exe
foreach ($name in 'README.md', 'full.yaml') {
    $file = Join-Path $PSScriptRoot $name
    if (Test-Path -LiteralPath $file) {
        Copy-Item -LiteralPath $file -Destination (Join-Path $programDir $name) -Force
    }
}

try {
    # 3. The folder is made before, closed to users by --private below, and the example has no secrets.
    if (-not (Test-Path -LiteralPath $Config)) {
        New-Item -ItemType Directory -Force -Path (Split-Path -Parent $Config) | Out-Null
        Copy-Item -LiteralPath (Join-Path $PSScriptRoot 'spillway.yaml') -Destination $Config
        Write-Output "example configuration: $Config"
    }
    Invoke-Spillway @('check', '-c', $Config)

    # 4. --private only for our own folder: what the operator has set for another one is theirs.
    $arguments = @('service', 'install', '--keep', '--grant', '-c', $Config)
    if ((Split-Path -Parent $Config) -eq $dataDir) {
        $arguments += '--private'
    }
    if ($Account -ne '') {
        $arguments += @('--account', $Account)
    }
    Invoke-Spillway $arguments

    # 5.
    Invoke-Spillway @('service', 'start')
} catch {
    if (Test-Path -LiteralPath $old) {
        Write-Warning "the new version does not run, the old one is put back: $_"
        & $exe service stop
        Remove-Item -LiteralPath $exe -Force
        Move-Item -LiteralPath $old -Destination $exe -Force
        Invoke-Spillway @('service', 'start')
    }
    throw
}

if ($FirewallPort -ne 0) {
    Edit-FirewallRule -Port $FirewallPort
}
if ($AddToPath) {
    Edit-MachinePath -Present $true
}
Write-Output "spillway serves; configuration: $Config"
