import { plain } from '~/util/untrusted'

/** What ran in a terminal; without a name it was the shell that the machine starts by itself. */
export function Program({ name }: { name: string }) {
  return name ? <code>{plain(name, 120)}</code> : <>the default shell</>
}
