/** How the agent gets onto a machine. */
export type Way = 'linux' | 'debian' | 'powershell' | 'msi'

export interface Asked {
  /** Of this server, as the browser has reached it. */
  origin: string
  token: string
  /** SHA-256 of the file `ca.pem`, where the server's certificate is of its own authority. */
  authority: string | null
  /** Of the packages; a word for it where it is not known. */
  version: string | null
}

/**
 * The line that installs the agent on a machine and joins it. The token is made of letters, digits and
 * underscores, and the address comes from the browser, so nothing in it needs escaping. An authority is
 * fetched first and compared; where it is another one, nothing of the rest is run. Null where a way cannot
 * be told of an authority.
 */
export function installLine(way: Way, { origin, token, authority, version }: Asked): string | null {
  switch (way) {
    case 'linux':
      return authority
        ? `${fetchAuthority(origin, authority)} &&\ncurl --cacert ca.pem -fsSL ${origin}/install.sh | sudo sh -s -- --token ${token} --ca-file ca.pem`
        : `curl -fsSL ${origin}/install.sh | sudo sh -s -- --token ${token}`
    case 'debian': {
      const variables = `GURURMM_SERVER=${origin} GURURMM_TOKEN=${token}`
      const install = `apt install ./gururmm-agent_${version ?? 'VERSION'}_amd64.deb`
      return authority
        ? `${fetchAuthority(origin, authority)} &&\nsudo ${variables} GURURMM_CA_FILE="$PWD/ca.pem" ${install}`
        : `sudo ${variables} ${install}`
    }
    case 'powershell':
      return authority
        ? [
            '$ca = "$env:ProgramData\\gururmm-ca.pem"',
            `curl.exe -fsSk ${origin}/api/install/ca.pem -o $ca`,
            `if ((Get-FileHash $ca).Hash -ne '${authority}') { throw 'this is not the authority of the server' }`,
            'certutil -addstore -f Root $ca',
            `${script(origin, token)} -CaFile $ca`,
          ].join('; ')
        : script(origin, token)
    case 'msi':
      return authority
        ? null
        : `msiexec /i gururmm-agent-${version ?? 'VERSION'}.msi /qn SERVER_URL=${origin} TOKEN=${token}`
  }
}

function fetchAuthority(origin: string, sha256: string): string {
  return `curl -fsSk ${origin}/api/install/ca.pem -o ca.pem &&\necho "${sha256}  ca.pem" | sha256sum --check`
}

function script(origin: string, token: string): string {
  return `& ([scriptblock]::Create((irm ${origin}/install.ps1))) -Token ${token}`
}
