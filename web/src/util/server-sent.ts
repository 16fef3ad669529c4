export interface ServerSent {
  event: string
  data: string
}

/** Reads server-sent events from pieces of text as they come; comments and other fields are left out. */
export function serverSentReader(tell: (event: ServerSent) => void): (piece: string) => void {
  let rest = ''
  let event = ''
  let data: string[] = []
  const line = (text: string) => {
    if (text === '') {
      if (data.length > 0) tell({ event: event || 'message', data: data.join('\n') })
      event = ''
      data = []
      return
    }
    const [, field, value] = /^([^:]+):? ?(.*)$/s.exec(text) ?? []
    if (field === 'event') event = value ?? ''
    if (field === 'data') data.push(value ?? '')
  }
  return piece => {
    const lines = (rest + piece).split('\n')
    rest = lines.pop() ?? ''
    for (const text of lines) line(text.replace(/\r$/, ''))
  }
}
