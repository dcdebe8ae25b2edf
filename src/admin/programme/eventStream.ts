/**
 * Server-sent events (WHATWG HTML, 9.2): one client, from a number on. Text is made when the client takes it: a slow one is paused by that, and falls
 * back to pages of its own.
 */
import type { Clock } from '../../clock.ts'
import type { Config } from '../../config.ts'
import type { EventHub } from '../../programme/eventHub.ts'
import type { Interest, ToldEvent } from '../../programme/toldEvents.ts'

export interface EventStreamOptions {
  readonly hub: EventHub
  readonly settings: Config['events']['streams']
  readonly clock: Clock
  readonly interest: Interest
  /** The number that the client has seen last. */
  readonly after: number
  /** When its token is over. */
  readonly untilMs: number
  readonly onTold: (count: number) => void
  /** The client takes nothing any more. */
  readonly onStalled: () => void
}

export interface EventStream {
  readonly text: AsyncGenerator<string, void, undefined>
  /** The client is gone. */
  end(): void
}

export function eventStream(options: EventStreamOptions): EventStream {
  const { hub, settings, clock, interest, untilMs, onTold, onStalled } = options
  let ended = false
  let news = false
  let wake: (() => void) | undefined
  const stir = (): void => {
    news = true
    wake?.()
  }
  const isOver = (): boolean => ended || hub.stopped || clock.now() >= untilMs

  /** Waits for news; false where there was none until a sign of life is due, or the token is over. */
  async function awaitNews(): Promise<boolean> {
    if (!news && !isOver()) {
      const waitMs = Math.max(1, Math.min(settings.heartbeatMs, untilMs - clock.now()))
      await new Promise<void>((resolve) => {
        const cancel = clock.after(waitMs, resolve)
        wake = () => {
          cancel()
          resolve()
        }
      })
      wake = undefined
    }
    const had = news
    news = false
    return had
  }

  /** Between handing text out and being asked for more the client takes it. */
  async function* taken(text: string): AsyncGenerator<string, void, undefined> {
    const cancel = clock.after(settings.stalledMs, onStalled)
    try {
      yield text
    } finally {
      cancel()
    }
  }

  async function* texts(): AsyncGenerator<string, void, undefined> {
    let { after } = options
    const stopListening = hub.listen(interest, stir)
    try {
      yield* taken(`retry: ${String(settings.reconnectMs)}\n\n`)
      while (!isOver()) {
        const page = await hub.read(after, interest)
        const isFurther = page.until > after
        after = page.until
        if (page.events.length > 0) {
          onTold(page.events.length)
          yield* taken(page.events.map(written).join(''))
        } else if (!isFurther && !(await awaitNews()) && !isOver()) yield* taken(': nothing new\n\n')
      }
    } finally {
      stopListening()
    }
  }

  return {
    text: texts(),
    end() {
      ended = true
      stir()
    },
  }
}

function written(event: ToldEvent): string {
  return `id: ${String(event.id)}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`
}
