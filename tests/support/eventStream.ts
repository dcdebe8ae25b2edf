/** A client of `GET /v1/events`, with a connection of its own. */
import { once } from 'node:events'
import { get, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import type { ToldEvent } from '../../src/programme/toldEvents.ts'

export interface StreamClient {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** All that came so far. */
  readonly events: readonly ToldEvent[]
  /** The bytes as they came. */
  text(): string
  /** Resolves when the server has ended it. */
  readonly ended: Promise<void>
  close(): void
}

export async function openStream(url: string, headers: Record<string, string>): Promise<StreamClient> {
  const request = get(url, { headers, agent: false })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  request.on('error', () => undefined)
  const events: ToldEvent[] = []
  let text = ''
  const read = async (): Promise<void> => {
    let rest = ''
    for await (const piece of response.setEncoding('utf8') as AsyncIterable<string>) {
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
    status: response.statusCode ?? 0,
    headers: response.headers,
    events,
    text: () => text,
    ended: read().catch(() => undefined),
    close() {
      request.destroy()
    },
  }
}
