/** Where links in terminals lead is asked about: their text may say something else, and a click must not be enough. */

import { confirm } from '~/ui/confirm'

export function openLink(uri: string): void {
  const url = safeUrl(uri)
  if (!url) return
  confirm({
    title: 'Open this link?',
    // The address as the browser will use it: look-alike letters of a host name show as xn--….
    text: `A program in the terminal shows a link to ${url.href}`,
    verb: 'Open in a new tab',
    act: async () => {
      window.open(url.href, '_blank', 'noopener,noreferrer')
    },
  })
}

/** Only pages; a link that runs something or opens another program is none. */
export function safeUrl(uri: string): URL | undefined {
  if (!URL.canParse(uri)) return undefined
  const url = new URL(uri)
  const isPage = url.protocol === 'https:' || url.protocol === 'http:'
  return isPage && url.href.length <= 2048 ? url : undefined
}
