export type System = 'linux' | 'windows'

/** What an agent dials: this server, by WebSocket. */
export function agentUrl(origin: string): string {
  return `${origin.replace(/^http/, 'ws')}/ws`
}

/**
 * The one line that configures the agent on a machine and starts it. The token is made of letters,
 * digits and underscores, and the address comes from the browser, so nothing in it needs escaping.
 */
export function installLine(system: System, origin: string, token: string): string {
  const url = agentUrl(origin)
  if (system === 'windows') {
    const folder = '$env:ProgramData\\GuruRMM'
    const file = `"${folder}\\agent.toml"`
    return [
      `New-Item -Force -ItemType Directory "${folder}" | Out-Null`,
      `Set-Content ${file} '[server]','url = "${url}"','api_key = "${token}"'`,
      `& gururmm-agent run --config ${file}`,
    ].join('; ')
  }
  const file = '/etc/gururmm/agent.toml'
  const text = `[server]\\nurl = "${url}"\\napi_key = "${token}"\\n`
  return `sudo sh -c 'umask 077; mkdir -p /etc/gururmm && printf "%b" '"'"'${text}'"'"' > ${file} && exec gururmm-agent run --config ${file}'`
}
