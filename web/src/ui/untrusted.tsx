import { plain } from '~/util/untrusted'

/** Text of a machine on one line, apart from the text around it. */
export function Untrusted({
  text,
  longest,
}: {
  text: string | null | undefined
  longest?: number
}) {
  return <bdi>{plain(text, longest)}</bdi>
}
