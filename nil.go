package webrtc

import (
	"reflect"
	"slices"
)

// isNilPointer tells whether v holds a nil pointer of some type, which is not
// nil as an interface but panics when used.
func isNilPointer(v any) bool {
	r := reflect.ValueOf(v)

	return r.Kind() == reflect.Pointer && r.IsNil()
}

// hasNil tells whether a field of the struct that v points to is nil. It serves
// fields that programs can leave out but are no longer meant to be read.
func hasNil(v any, fields ...string) bool {
	r := reflect.ValueOf(v).Elem()

	return slices.ContainsFunc(fields, func(name string) bool { return r.FieldByName(name).IsNil() })
}
