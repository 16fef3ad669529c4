// In the manner of ~/ui/icons: one stroke, 24 × 24.
const PATHS = {
  down: 'm6 9 6 6 6-6',
  maximise: 'M4 9V4h5m6 0h5v5m0 6v5h-5m-6 0H4v-5',
  restore: 'M9 4v5H4m16 0h-5V4m0 16v-5h5M4 15h5v5',
  up: 'm6 15 6-6 6 6',
} as const

export function DockIcon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg
      aria-hidden="true"
      width={16}
      height={16}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth={1.75}
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      <path d={PATHS[name]} />
    </svg>
  )
}
