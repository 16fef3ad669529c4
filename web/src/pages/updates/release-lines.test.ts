import { expect, test } from 'vitest'
import { addLine, filesOf, isVersion, signLine } from './release-lines'

test('the lines sign a program for its platform, and add it to a channel', () => {
  expect(signLine('0.2.0', 'linux-x86_64')).toBe(
    'gururmm-server release sign --key release.key --version 0.2.0 --platform linux-x86_64 gururmm-agent',
  )
  expect(addLine('windows-x86_64', 'beta')).toBe(
    'gururmm-server release add gururmm-agent.exe --channel beta',
  )
  expect(filesOf('linux-aarch64')).toEqual([
    'gururmm-agent',
    'gururmm-agent.manifest.json',
    'gururmm-agent.manifest.json.minisig',
  ])
})

test('nothing but a version gets into a line', () => {
  for (const good of ['0.2.0', '1.0.0-rc.1', '1.0.0+build.5']) expect(isVersion(good)).toBe(true)
  for (const bad of [
    '',
    '0.2',
    'v0.2.0',
    '0.2.0; rm -rf /',
    '0.2.0 ',
    '$(id)',
    `1.0.${'0'.repeat(64)}`,
  ]) {
    expect(isVersion(bad)).toBe(false)
  }
})
