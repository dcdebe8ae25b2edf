/** A client of `GET /v1/events`. */
import type { ToldEvent } from '../../src/programme/toldEvents.ts'

export interface StreamClient {
  readonly status: number
  readonly headers: Headers
  /** All that came so far. */
  readonly events: readonly ToldEvent[]
  /** The bytes as they came. */
  text(): string
  /** Resolves when the server has ended it. */
  readonly ended: Promise<void>
  close(): void
}

export async function openStream(url: string, headers: Record<string, string>): Promise<StreamClient> {
  const abort = new AbortController()
  const response = await fetch(url, { headers, signal: abort.signal })
  const events: ToldEvent[] = []
  let text = ''
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder()
    let rest = ''
    for await (const bytes of response.body ?? []) {
      const piece = decoder.decode(bytes as Uint8Array, { stream: true })
      text += piece
      const blocks = (rest + piece).split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) {
        const fields = new Map(
          block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
        )
        const data = fields.get('data')
        if (data === undefined) continue
        const event = JSON.parse(data) as ToldEvent
        if (String(event.id) !== fields.get('id') || event.kind !== fields.get('event'))
          throw new Error(`id and kind differ: ${block}`)
        events.push(event)
      }
    }
  }
  return {
    status: response.status,
    headers: response.headers,
    events,
    text: () => text,
    ended: read().catch(() => undefined),
    close() {
      abort.abort()
    },
  }
}
