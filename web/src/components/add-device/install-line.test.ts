import { expect, test } from 'vitest'
import { type Asked, installLine, type Way } from './install-line'

const asked = (change: Partial<Asked> = {}): Asked => ({
  origin: 'https://rmm.example.com',
  token: 'grmt_abc',
  authority: null,
  version: null,
  ...change,
})
const AUTHORITY = 'a'.repeat(64)

test('each way has one line with address and token', () => {
  expect(installLine('linux', asked())).toBe(
    'curl -fsSL https://rmm.example.com/install.sh | sudo sh -s -- --token grmt_abc',
  )
  expect(installLine('powershell', asked())).toBe(
    '& ([scriptblock]::Create((irm https://rmm.example.com/install.ps1))) -Token grmt_abc',
  )
  expect(installLine('msi', asked({ version: '0.1.0' }))).toBe(
    'msiexec /i gururmm-agent-0.1.0.msi /qn SERVER_URL=https://rmm.example.com TOKEN=grmt_abc',
  )
  expect(installLine('debian', asked({ version: '0.1.0' }))).toBe(
    'sudo GURURMM_SERVER=https://rmm.example.com GURURMM_TOKEN=grmt_abc apt install ./gururmm-agent_0.1.0_amd64.deb',
  )
})

test('a version that is not known is left to be put in', () => {
  expect(installLine('msi', asked())).toContain('gururmm-agent-VERSION.msi')
})

test('a private authority is fetched and compared before anything is run', () => {
  const line = installLine('linux', asked({ authority: AUTHORITY })) ?? ''
  expect(line.split(' &&\n')).toEqual([
    'curl -fsSk https://rmm.example.com/api/install/ca.pem -o ca.pem',
    `echo "${AUTHORITY}  ca.pem" | sha256sum --check`,
    'curl --cacert ca.pem -fsSL https://rmm.example.com/install.sh | sudo sh -s -- --token grmt_abc --ca-file ca.pem',
  ])
  for (const way of ['linux', 'debian', 'powershell'] as Way[]) {
    const line = installLine(way, asked({ authority: AUTHORITY })) ?? ''
    expect(line.indexOf(AUTHORITY)).toBeLessThan(line.indexOf('grmt_abc'))
    expect(line.indexOf(AUTHORITY)).toBeGreaterThan(0)
  }
})

test('windows is given the authority by the script, and the package cannot be told of one', () => {
  const line = installLine('powershell', asked({ authority: AUTHORITY }))
  expect(line).toContain('throw')
  expect(line).toContain('-CaFile $ca')
  expect(line).not.toContain('\n')
  expect(installLine('msi', asked({ authority: AUTHORITY }))).toBeNull()
})
