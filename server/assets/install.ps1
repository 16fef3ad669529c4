<#
.SYNOPSIS
Installs the GuruRMM agent on this machine, or removes it. In a PowerShell of an administrator:

    & ([scriptblock]::Create((irm @SERVER_URL@/install.ps1))) -Token TOKEN
    & ([scriptblock]::Create((irm @SERVER_URL@/install.ps1))) -Uninstall

.DESCRIPTION
What is downloaded is checked against its manifest's size and SHA-256 before it is run. The manifest's signature
is checked by installed agents, with the keys that are built into them, and by the installer for Linux; Windows has no
means to check it here, so that the first installation rests on the server's certificate.
#>
param(
    [string]$Token = '',
    [string]$Server = '@SERVER_URL@',
    [string]$CaFile = '',
    [string]$Proxy = '',
    [switch]$Reinstall,
    [switch]$NoStart,
    [switch]$Uninstall
)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$folder = Join-Path $env:ProgramFiles 'GuruRMM'
$program = Join-Path $folder 'gururmm-agent.exe'
$data = Join-Path $env:ProgramData 'GuruRMM'
$config = Join-Path $data 'agent.toml'
$mostBytes = 64MB

function Invoke-Agent {
    param([string[]]$Arguments)
    & $program @Arguments
    if ($LASTEXITCODE -ne 0) { throw "install: gururmm-agent $($Arguments[0]) has failed; see the line above" }
}

function Get-FromServer {
    param([string]$Path, [string]$File)
    $more = @{ UseBasicParsing = $true; TimeoutSec = 900 }
    if ($Proxy) { $more.Proxy = $Proxy }
    try { Invoke-WebRequest -Uri ($Server.TrimEnd('/') + $Path) -OutFile $File @more }
    catch { throw "install: cannot download $Server$Path`: $($_.Exception.Message)" }
}

$me = [Security.Principal.WindowsPrincipal][Security.Principal.WindowsIdentity]::GetCurrent()
if (-not $me.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
    throw 'install: an administrator is needed; open PowerShell with "Run as administrator"'
}
# Windows Server 2012 to 2016 do not offer it by themselves.
[Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12

if ($Uninstall) {
    if (Test-Path $program) { & $program service uninstall --purge --config $config }
    Remove-Item -Recurse -Force -ErrorAction SilentlyContinue $folder, $data
    Write-Output 'install: the agent is removed; delete the device in the dashboard to forget it there'
    return
}

if (-not [Environment]::Is64BitOperatingSystem) { throw 'install: there is no agent for 32-bit Windows' }
$work = Join-Path $env:TEMP ('gururmm-' + [guid]::NewGuid())
New-Item -ItemType Directory $work | Out-Null
try {
    Get-FromServer '/api/install/windows-x86_64' (Join-Path $work 'manifest.json')
    $manifest = Get-Content -Raw (Join-Path $work 'manifest.json') | ConvertFrom-Json
    if ($manifest.platform -ne 'windows-x86_64') { throw "install: the server's release is for $($manifest.platform)" }
    if ([datetime]$manifest.expires_at -lt [datetime]::UtcNow) { throw "install: the release has expired ($($manifest.expires_at)); look at this machine's clock" }
    if ($manifest.size -gt $mostBytes) { throw "install: the release is too large ($($manifest.size) bytes)" }
    $same = (Test-Path $program) -and ((Get-FileHash -Algorithm SHA256 $program).Hash -eq $manifest.sha256)
    if ($same) {
        Write-Output "install: version $($manifest.version) is installed already"
    } else {
        $new = Join-Path $work 'gururmm-agent.exe'
        Get-FromServer '/api/install/windows-x86_64/program' $new
        if ((Get-Item $new).Length -ne $manifest.size) { throw 'install: the download has another size than its manifest says' }
        if ((Get-FileHash -Algorithm SHA256 $new).Hash -ne $manifest.sha256) { throw 'install: the download is not what its manifest says' }
        New-Item -ItemType Directory -Force $folder | Out-Null
        if (Test-Path $program) {
            # A program that runs can be renamed, not written.
            & $program service uninstall
            Move-Item -Force $program "$program.old"
        }
        Copy-Item $new $program
        Remove-Item -Force -ErrorAction SilentlyContinue "$program.old"
        Write-Output "install: installed version $($manifest.version)"
    }
} finally {
    Remove-Item -Recurse -Force -ErrorAction SilentlyContinue $work
}

if ((Test-Path $config) -and -not $Reinstall) {
    Write-Output "install: $config is kept; -Reinstall replaces it"
} else {
    if (-not $Token) { throw "install: -Token is needed; the dashboard's Add device says it" }
    $setup = @('setup', '--config', $config, '--server', $Server, '--token-stdin')
    if ($CaFile) { $setup += '--ca-file', $CaFile }
    if ($Proxy) { $setup += '--proxy', $Proxy }
    if ($Reinstall) { $setup += '--replace' }
    $Token | & $program @setup
    if ($LASTEXITCODE -ne 0) { throw 'install: the configuration could not be written; see the line above' }
}
if (-not $NoStart) {
    & $program service uninstall 2>$null
    Invoke-Agent @('service', 'install', '--config', $config)
    foreach ($try in 1..30) {
        & $program status --config $config *>$null
        if ($LASTEXITCODE -eq 0) { Write-Output 'install: the agent is connected'; return }
        Start-Sleep -Seconds 1
    }
    throw "install: the agent runs, but has not reached its server yet; & '$program' doctor --config '$config' says why"
}
