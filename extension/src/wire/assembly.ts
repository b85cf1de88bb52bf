/** Joins the chunks of one answer; anything out of turn ends it. */

import type { Chunk } from './frames';
import { LARGEST_PART } from './guards';

export class Assembly {
  private readonly parts: Uint8Array[] = [];

  /** Add one part. True once the answer is whole, false while it is not, null if it never will be. */
  add(chunk: Chunk, buffer: ArrayBuffer | ArrayBufferView | undefined): boolean | null {
    if (!buffer || chunk.part !== this.parts.length || buffer.byteLength > LARGEST_PART) {
      return null;
    }
    this.parts.push(
      ArrayBuffer.isView(buffer)
        ? new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
        : new Uint8Array(buffer)
    );
    return this.parts.length === chunk.parts;
  }

  /** The answer, as JSON; undefined if it is none. */
  json(): unknown {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    try {
      const texts = this.parts.map(part => decoder.decode(part, { stream: true }));
      return JSON.parse(texts.join('') + decoder.decode()) as unknown;
    } catch {
      return undefined;
    }
  }
}
