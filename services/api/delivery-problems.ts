/** What asking for deliveries again is refused with; part of the catalogue. */
export const deliveryProblems = {
  delivery_open: {
    status: 409,
    title: "Being sent already",
    description:
      "The delivery is being sent, or will be by itself. It can be asked for again when it has ended.",
  },
  endpoint_disabled: {
    status: 409,
    title: "Endpoint disabled",
    description: "Nothing is sent to a webhook endpoint that is disabled. Enable it first.",
  },
  content_erased: {
    status: 409,
    title: "Content erased",
    description: "What the delivery told of was erased: its bytes cannot be made again.",
    permanent: true,
  },
  replay_ended: {
    status: 409,
    title: "Replay ended",
    description: "The replay was cancelled already.",
    permanent: true,
  },
} as const;
