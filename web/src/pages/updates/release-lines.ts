export const PLATFORMS = ['linux-x86_64', 'linux-aarch64', 'windows-x86_64'] as const
export type Platform = (typeof PLATFORMS)[number]

/** As the server takes versions: semver, at most 64 characters. It stands in a command line, so nothing else gets in. */
export function isVersion(text: string): boolean {
  return (
    text.length <= 64 &&
    /^\d+\.\d+\.\d+(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/.test(
      text,
    )
  )
}

const programOf = (platform: Platform) =>
  platform === 'windows-x86_64' ? 'gururmm-agent.exe' : 'gururmm-agent'

export function signLine(version: string, platform: Platform): string {
  return `gururmm-server release sign --key release.key --version ${version} --platform ${platform} ${programOf(platform)}`
}

export function addLine(platform: Platform, channel: string): string {
  return `gururmm-server release add ${programOf(platform)} --channel ${channel}`
}

/** The three files that are brought to the server. */
export function filesOf(platform: Platform): string[] {
  const program = programOf(platform)
  return [program, `${program}.manifest.json`, `${program}.manifest.json.minisig`]
}
