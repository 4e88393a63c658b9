package sctpfilter

func (s *side) Resetting(ids []uint16) { s.Readable(ids) }

func (r *fake) Resetting(ids []uint16) { r.Readable(ids) }

func (p *poller) Resetting(ids []uint16) { p.Readable(ids) }
