import { Kbd, TextInput } from '@mantine/core'
import { useEffect, useRef, useState } from 'react'
import { Icon } from './icons'

interface SearchBoxProps {
  value: string
  onChange: (value: string) => void
  label: string
  /** `/` brings the keyboard here. */
  slash?: boolean
}

const WAIT_MS = 200

/** Text to search for; tells it when the typing pauses. */
export function SearchBox({ value, onChange, label, slash }: SearchBoxProps) {
  const [text, setText] = useState(value)
  const told = useRef(value)
  useEffect(() => {
    // What comes from the address (back, a saved view) replaces the text; an echo of one's own does not.
    if (value !== told.current) {
      told.current = value
      setText(value)
    }
  }, [value])
  useEffect(() => {
    if (text === told.current) return
    const timer = setTimeout(() => {
      told.current = text
      onChange(text)
    }, WAIT_MS)
    return () => clearTimeout(timer)
  }, [text, onChange])
  return (
    <TextInput
      type="search"
      aria-label={label}
      placeholder={label}
      value={text}
      onChange={event => setText(event.currentTarget.value)}
      onKeyDown={event => {
        if (event.key === 'Escape') {
          if (text) setText('')
          else event.currentTarget.blur()
        }
      }}
      leftSection={<Icon name="search" size={14} />}
      rightSection={slash ? <Kbd size="xs">/</Kbd> : undefined}
      data-search={slash || undefined}
      w={230}
    />
  )
}
