import 'uplot/dist/uPlot.min.css'
import { useComputedColorScheme } from '@mantine/core'
import { useElementSize } from '@mantine/hooks'
import { useEffect, useRef } from 'react'
import UPlot from 'uplot'
import classes from './chart.module.css'

interface Line {
  name: string
  values: (number | null)[]
}

interface ChartProps {
  title: string
  /** Seconds since 1970. */
  at: number[]
  lines: Line[]
  format: (value: number | null) => string
  most?: number
  /** The time that is shown, in seconds since 1970. */
  from: number
  to: number
}

const HEIGHT_PX = 130

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const calendar = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })

const moment = (seconds: number, step: number) =>
  (step >= 86_400 ? calendar : clock).format(seconds * 1000)

/** Lines over time. The last values stand beside the title, so that the picture is not all there is. */
export function Chart({ title, at, lines, format, most, from, to }: ChartProps) {
  const { ref, width } = useElementSize()
  const plot = useRef<UPlot | null>(null)
  const holder = useRef<HTMLDivElement>(null)
  const shown = useRef<[number, number]>([from, to])
  shown.current = [from, to]
  const scheme = useComputedColorScheme('light')
  const shape = lines.map(line => line.name).join('|')

  // biome-ignore lint/correctness/useExhaustiveDependencies: new data goes into the plot that is there, below
  useEffect(() => {
    if (!holder.current || width === 0) return
    const style = getComputedStyle(holder.current)
    const color = (name: string) => style.getPropertyValue(name).trim()
    const strokes = [color('--grmm-info'), color('--grmm-warn')]
    const axis = {
      stroke: color('--mantine-color-dimmed'),
      font: '11px system-ui',
      grid: { stroke: color('--grmm-line'), width: 1 },
      ticks: { show: false },
    }
    plot.current = new UPlot(
      {
        width,
        height: HEIGHT_PX,
        legend: { show: false },
        cursor: { y: false, points: { size: 6 } },
        scales: {
          x: { range: () => shown.current },
          y: { range: (_, __, highest) => [0, most ?? Math.max(highest * 1.1, 1)] },
        },
        axes: [
          { ...axis, values: (_, marks, __, ___, step) => marks.map(mark => moment(mark, step)) },
          { ...axis, size: 62, values: (_, marks) => marks.map(mark => format(mark)) },
        ],
        series: [
          {},
          ...lines.map((line, index) => ({
            label: line.name,
            stroke: strokes[index],
            width: 1.5,
            spanGaps: false,
            points: { show: at.length < 3, size: 5 },
          })),
        ],
      },
      [at, ...lines.map(line => line.values)],
      holder.current,
    )
    return () => {
      plot.current?.destroy()
      plot.current = null
    }
  }, [width, scheme, shape, most])

  useEffect(() => {
    plot.current?.setData([at, ...lines.map(line => line.values)])
  }, [at, lines])

  return (
    <figure className={classes.figure} ref={ref}>
      <figcaption>
        <strong>{title}</strong>
        {lines.map((line, index) => (
          <span key={line.name} data-line={index}>
            {lines.length > 1 && `${line.name} `}
            {format(line.values.findLast(value => value !== null) ?? null)}
          </span>
        ))}
      </figcaption>
      <div ref={holder} aria-hidden="true" />
    </figure>
  )
}
