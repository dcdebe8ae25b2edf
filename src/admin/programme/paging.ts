/** Lists come in pages: `?cursor=&limit=` is answered `{ items, next }`. A cursor is opaque to callers: the key of the last item, as base64url. */
import Type, { type TSchema } from 'typebox'

const LIMIT_DEFAULT = 50
const LIMIT_MAX = 200

/** Members of a query string; they come as text. */
export const PageQuery = {
  cursor: Type.Optional(
    Type.String({ pattern: '^[A-Za-z0-9_-]{1,200}$', description: '`next` of the page before', examples: ['cG9zdC0wMy0x'] }),
  ),
  limit: Type.Optional(
    Type.String({
      pattern: '^([1-9]\\d?|1\\d\\d|200)$',
      description: `1 to ${String(LIMIT_MAX)}, ${String(LIMIT_DEFAULT)} where it is absent`,
    }),
  ),
}

export interface PageAsked {
  readonly cursor?: string
  readonly limit?: string
}

/** Where a page begins, and one item more than it has: whether there is one says if another page follows. */
export interface PageStart {
  /** Key of the last item of the page before; empty at the beginning. */
  readonly after: string
  readonly limit: number
  readonly look: number
}

export function pageStart({ cursor = '', limit }: PageAsked): PageStart {
  const items = Number(limit ?? LIMIT_DEFAULT)
  // Postgres takes no text with a zero byte.
  const after = Buffer.from(cursor, 'base64url').toString('utf8').replaceAll('\0', '')
  return { after, limit: items, look: items + 1 }
}

/** The same where keys are numbers. A cursor that is none of ours begins at the beginning. */
export function numberAfter({ after }: PageStart): number {
  return /^\d{1,15}$/.test(after) ? Number(after) : 0
}

/** @param found at most `look` items @param keyOf what the next page goes on from */
export function pageOf<T>(
  found: readonly T[],
  { limit }: PageStart,
  keyOf: (item: T) => string,
): { items: T[]; next: string | null } {
  const items = found.slice(0, limit)
  const last = items.at(-1)
  const more = found.length > limit && last !== undefined
  return { items, next: more ? Buffer.from(keyOf(last), 'utf8').toString('base64url') : null }
}

/** @param item with an example, which becomes that of the page */
export function pageSchema(item: TSchema & { readonly examples?: readonly unknown[] }): TSchema {
  return Type.Object(
    {
      items: Type.Array(item),
      next: Type.Union([Type.String(), Type.Null()], { description: 'cursor of the next page; null: this is the last' }),
    },
    { additionalProperties: false, examples: [{ items: item.examples ?? [], next: null }] },
  )
}
