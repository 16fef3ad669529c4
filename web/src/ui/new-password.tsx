import { PasswordInput, Text } from '@mantine/core'
import { LONGEST, SHORTEST, strength } from '~/util/password'
import classes from './new-password.module.css'

interface NewPasswordProps {
  value: string
  onChange: (value: string) => void
  label?: string
  error?: string | null
}

export function NewPassword({ value, onChange, label = 'Password', error }: NewPasswordProps) {
  const { score, word } = strength(value)
  return (
    <div>
      <PasswordInput
        label={label}
        description={`${SHORTEST} to ${LONGEST} characters`}
        autoComplete="new-password"
        required
        withAsterisk={false}
        minLength={SHORTEST}
        maxLength={LONGEST}
        value={value}
        error={error}
        onChange={event => onChange(event.currentTarget.value)}
      />
      <div className={classes.meter} data-score={value ? score : undefined} aria-hidden="true">
        <i />
        <i />
        <i />
        <i />
      </div>
      <Text size="xs" c="dimmed" aria-live="polite" mih={17}>
        {value && `Strength: ${word}`}
      </Text>
    </div>
  )
}
