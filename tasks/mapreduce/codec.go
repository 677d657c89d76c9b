package mapreduce

import (
	"encoding"
	"encoding/json"
)

// encode gives the bytes of an input or a part.
func encode(v any) ([]byte, error) {
	switch v := v.(type) {
	case []byte:
		return v, nil
	case string:
		return []byte(v), nil
	case encoding.BinaryMarshaler:
		return v.MarshalBinary()
	}
	return json.Marshal(v)
}

// decode reads what encode wrote into the value that v points at.
func decode(data []byte, v any) error {
	switch v := v.(type) {
	case *[]byte:
		*v = data
		return nil
	case *string:
		*v = string(data)
		return nil
	case encoding.BinaryUnmarshaler:
		return v.UnmarshalBinary(data)
	}
	return json.Unmarshal(data, v)
}
