/** EventTarget with its events typed: `M` maps each type to the `detail` of its CustomEvent. */

export interface TypedEventTarget<M> {
  addEventListener<K extends keyof M & string>(
    type: K,
    listener: (event: CustomEvent<M[K]>) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof M & string>(
    type: K,
    listener: (event: CustomEvent<M[K]>) => void,
    options?: boolean | EventListenerOptions,
  ): void;
}

export const TypedEventTarget: new <M>() => TypedEventTarget<M> = EventTarget as never;

/** Dispatches an event; named with its map, since a generic method's signature does not give it away. */
export function emitter<M>(): <K extends keyof M & string>(target: TypedEventTarget<M>, type: K, detail: M[K]) => void {
  return (target, type, detail) =>
    void (target as unknown as EventTarget).dispatchEvent(new CustomEvent(type, { detail }));
}
