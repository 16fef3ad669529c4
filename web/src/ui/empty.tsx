import { Stack, Text, Title } from '@mantine/core'

/** What is not there yet, why, and the one thing to do about it. */
export function Empty({
  title,
  text,
  children,
}: {
  title: string
  text?: string
  children?: React.ReactNode
}) {
  return (
    <Stack align="center" justify="center" gap="xs" py={64} px="md" ta="center">
      <Title order={2}>{title}</Title>
      {text && (
        <Text c="dimmed" maw={460}>
          {text}
        </Text>
      )}
      {children}
    </Stack>
  )
}
