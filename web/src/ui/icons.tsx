import type { SVGProps } from 'react'

// One stroke, 24 × 24, in the colour of the text around it.
const PATHS = {
  alert: 'M12 4 2.5 20h19L12 4Zm0 6v4m0 3v.01',
  audit: 'M6 3h9l4 4v14H6V3Zm3 8h7m-7 4h7M9 7h3',
  channel: 'M6 9a6 6 0 0 1 12 0c0 6 2 7 2 8H4c0-1 2-2 2-8Zm4 11a2 2 0 0 0 4 0',
  check: 'm5 12 5 5L19 7',
  chevron: 'm9 6 6 6-6 6',
  clock: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm0 4v5l3 2',
  close: 'M6 6l12 12M18 6 6 18',
  columns: 'M4 5h16v14H4V5Zm5.3 0v14m5.4-14v14',
  copy: 'M9 9h11v11H9V9ZM5 15H4V4h11v1',
  device: 'M3 5h18v11H3V5Zm6 15h6m-3-4v4',
  dots: 'M5 12h.01M12 12h.01M19 12h.01',
  download: 'M12 4v11m-4-4 4 4 4-4M5 20h14',
  enrol: 'M12 5v14M5 12h14',
  file: 'M6 3h8l4 4v14H6V3Zm8 0v4h4',
  gear: 'M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6Zm8 3-2-1.2.3-2.2-2.2-.9-.9-2.2-2.2.3L12 4l-1.2 1.8-2.2-.3-.9 2.2-2.2.9.3 2.2L4 12l1.8 1.2-.3 2.2 2.2.9.9 2.2 2.2-.3L12 20l1.2-1.8 2.2.3.9-2.2 2.2-.9-.3-2.2L20 12Z',
  help: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm-2.5 6.5a2.5 2.5 0 1 1 3.5 2.3c-.7.4-1 .9-1 1.7m0 3v.01',
  job: 'M4 6h3v3H4V6Zm0 9h3v3H4v-3Zm6-7.5h10m-10 9h10',
  key: 'M8 11a4 4 0 1 0 0 8 4 4 0 0 0 0-8Zm3 1 8-8m-3 3 3 3',
  logout: 'M14 4h5v16h-5M4 12h10m-3-4 4 4-4 4',
  menu: 'M4 6h16M4 12h16M4 18h16',
  moon: 'M20 14.5A8 8 0 1 1 9.5 4 6.5 6.5 0 0 0 20 14.5Z',
  package: 'm12 3 8 4.5v9L12 21l-8-4.5v-9L12 3Zm0 9 8-4.5M12 12v9m0-9L4 7.5',
  pause: 'M8 5v14M16 5v14',
  play: 'M7 4v16l13-8L7 4Z',
  policy: 'M12 3 5 6v6c0 4 3 7 7 9 4-2 7-5 7-9V6l-7-3Z',
  refresh: 'M20 11a8 8 0 1 0-2 6M20 5v6h-6',
  save: 'M5 4h11l3 3v13H5V4Zm4 0v5h6V4M8 20v-6h8v6',
  schedule: 'M4 6h16v14H4V6Zm0 4h16M8 3v4m8-4v4',
  script: 'm8 8-4 4 4 4m8-8 4 4-4 4M13.5 5l-3 14',
  search: 'M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Zm5 11.5L20 20',
  site: 'M4 20V9l8-5 8 5v11h-5v-6H9v6H4Z',
  star: 'm12 4 2.5 5.2 5.5.8-4 4 1 5.6-5-2.7-5 2.7 1-5.6-4-4 5.5-.8L12 4Z',
  stop: 'M6 6h12v12H6V6Z',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8Zm0-5v2m0 14v2M3 12h2m14 0h2M5.6 5.6 7 7m10 10 1.4 1.4M18.4 5.6 17 7M7 17l-1.4 1.4',
  terminal: 'm5 7 5 5-5 5m7 0h7',
  trash: 'M5 7h14m-9 0V4h4v3m-7 0 1 13h8l1-13',
  user: 'M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM4 20c1-4 4-5 8-5s7 1 8 5',
  watch: 'M2 12c3-5 6-7 10-7s7 2 10 7c-3 5-6 7-10 7s-7-2-10-7Zm10-3a3 3 0 1 0 0 6 3 3 0 0 0 0-6Z',
} as const

export type IconName = keyof typeof PATHS

export function Icon({
  name,
  size = 16,
  ...rest
}: { name: IconName; size?: number } & SVGProps<SVGSVGElement>) {
  return (
    <svg
      aria-hidden="true"
      focusable="false"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth={name === 'dots' ? 3 : 1.75}
      strokeLinecap="round"
      strokeLinejoin="round"
      {...rest}
    >
      <path d={PATHS[name]} />
    </svg>
  )
}
